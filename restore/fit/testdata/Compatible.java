import java.io.*;
import java.util.*;
import org.apache.cassandra.config.DatabaseDescriptor;
import org.apache.cassandra.db.marshal.*;

/** Reads types, one a line, and prints for each pair whether the first reads values of the second (v) and sorts as it (o), behind the
 * word pairs: the log goes to the same output. */
public class Compatible {
    public static void main(String[] args) throws Exception {
        DatabaseDescriptor.clientInitialization();
        List<AbstractType<?>> types = new ArrayList<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine())
            types.add(TypeParser.parse(line));
        StringBuilder out = new StringBuilder();
        for (AbstractType<?> is : types) {
            out.append("pairs ");
            for (AbstractType<?> was : types)
                out.append(is.isValueCompatibleWith(was) ? 'v' : '-').append(is.isCompatibleWith(was) ? 'o' : '-');
            out.append('\n');
        }
        System.out.print(out);
    }
}
